"""The servers wsframe is measured against, each as fast as its own documentation makes it.

Every one serves four paths on one port: ``/echo`` returns each message as it came, ``/chat``
answers a validated chat message, ``/schema`` one that a JSON Schema has validated, ``/room`` hands
what one connection sends to all others of the room (the publisher connects to ``/publish``).
"""
