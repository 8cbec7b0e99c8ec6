"""The server: transports, links, the dispatcher, and how an application is started."""
