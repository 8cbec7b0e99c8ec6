"""How bytes come and go: one module a transport, each a thin shell around a link."""
