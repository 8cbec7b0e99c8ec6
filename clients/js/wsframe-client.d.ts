/** The version of this client, equal to that of wsframe. */
export const VERSION: string;

/** A message of the wire protocol, as the server sends it. */
export interface Message<Content = any> {
  /** What the message says; for `error`: `{code, message, retryable, details?, retryAfterMs?}`. */
  content: Content;
  /** Whether an answer is the final one; `false`: a part. Absent on what is no answer. */
  final?: boolean;
  id?: string;
  /** The id of the message that this one answers. */
  replyTo?: string;
  sessionId?: string;
  timestamp?: string;
  /** The message is neither numbered nor replayed. */
  transient?: true;
  type: string;
}

/**
 * `connecting`: at first, and after each drop. `open`: connected, in a new session. `resumed`: connected
 * again, nothing is lost. `gap`: connected again, but the server no longer had some messages. `closed`: for good.
 */
export type Status = "connecting" | "open" | "resumed" | "gap" | "closed";

/** More about a change of the status. */
export interface StatusDetail {
  /** Close code of the connection that ended. */
  code?: number;
  /** What the token function, or the WebSocket constructor, threw. */
  error?: unknown;
  /** With `gap`: numbers of the first and the last message lost. */
  gap?: { from: number; to: number };
  reason?: string;
  /** With `connecting`: milliseconds until the next attempt. */
  retryInMs?: number;
}

export interface ClientOptions {
  /** A token for the server's authentication, or a function that is asked for one before each connection. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** Where the token goes: into the message `init` (default), or into the handshake, as the
   *  subprotocol `wsframe.bearer.<token>`, for servers that must know before the upgrade. */
  tokenIn?: "init" | "subprotocol";
  /** How often a message is sent again after an error that is marked retryable. Default: 3. */
  retries?: number;
  /** Longest wait for an answer in milliseconds; for a stream, for its next part. Default: 30000. */
  timeoutMs?: number;
  /** Most requests without an answer; one more is refused with "too_many_pending". Default: 1000. */
  maxPending?: number;
  /** A class with the browser's WebSocket interface. Default: the global one. */
  WebSocket?: unknown;
}

export interface RequestOptions {
  timeoutMs?: number;
  retries?: number;
  /** Aborting it cancels the message on the server; the request then fails with the signal's reason. */
  signal?: AbortSignal;
}

/** Why there is no answer, or what error the answer is. */
export class RequestError extends Error {
  constructor(
    code: string,
    message: string,
    more?: { retryable?: boolean; details?: unknown; retryAfterMs?: number },
  );
  /** The server's code, or one of the client's own: `timeout`, `gap`, `session_lost`, `closed`,
   *  `cancelled`, `too_many_pending`, `message_too_big`. */
  readonly code: string;
  readonly details?: any;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

/** The parts of one answer. Parts that are not consumed yet are kept, however many the server sends. */
export interface Stream<Part = any> extends AsyncIterableIterator<Message<Part>> {
  /** The final answer, once the parts have ended. */
  readonly final?: Message;
  readonly id: string;
}

export class Client {
  /** Connect to `url`; a relative one is resolved against the page's. */
  constructor(url: string | URL, options?: ClientOptions);
  /** The id of the session; undefined before the first connection. */
  readonly sessionId: string | undefined;
  readonly status: Status;

  /** Send a message and wait for its one final answer. Rejects with a {@link RequestError}. */
  request<Content = any>(
    type: string,
    content?: unknown,
    options?: RequestOptions,
  ): Promise<Message<Content>> & { readonly id: string };
  /** Send a message and iterate over the parts of its answer; leaving the loop early cancels it. */
  stream<Part = any>(type: string, content?: unknown, options?: RequestOptions): Stream<Part>;
  /** Send a message and return its id; its answers are told to the listeners of "message". */
  send(type: string, content?: unknown, options?: RequestOptions): string;
  /** Stop a message that is not answered yet. Resolves with whether it was still running. */
  cancel(id: string): Promise<boolean>;

  /** Listen to messages that answer no request, or to the status. Returns a function that ends it. */
  on(event: "message", listener: (message: Message) => void): () => void;
  on(event: "status", listener: (status: Status, detail: StatusDetail) => void): () => void;
  off(event: "message", listener: (message: Message) => void): void;
  off(event: "status", listener: (status: Status, detail: StatusDetail) => void): void;

  /** Connect now, instead of at the end of the pause. */
  connect(): void;
  /** Finish the session and close for good; requests without an answer fail with "closed". */
  close(): void;
}
