// node run_client.mjs ws://…   prints what a conversation through the JavaScript client brought, as JSON.

import { WebSocket } from "ws";
import { Client } from "../../clients/js/wsframe-client.js";
import { converseThroughClient } from "./client.mjs";

const seen = await converseThroughClient({ Client, WebSocket, url: process.argv[2] });
console.log(JSON.stringify(seen));
