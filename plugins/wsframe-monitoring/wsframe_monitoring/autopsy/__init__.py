"""The message autopsy: what became of a message, and why its sender got no answer.

::

    Conversation ──▶ Record ────────▶ Ring ─────▶ story ───────▶ Endpoint ──▶ wsframe trace
    one session      one message      bounded     time line      JSON         text

Nothing here has ever seen the content of a message: it is told ids, types, numbers and sizes.
"""
