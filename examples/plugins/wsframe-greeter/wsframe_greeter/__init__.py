# wsframe_greeter/__init__.py            pyproject: [project.entry-points."wsframe.plugins"] greeter = "wsframe_greeter:Greeter"
import msgspec
from wsframe import hookimpl

class Greeter:
    class Config(msgspec.Struct, forbid_unknown_fields=True):
        greeting: str = "Hello"

    def __init__(self, config: Config):
        self.config = config

    @hookimpl
    def setup(self, app):
        app.add_handler("greet", self.greet)

    async def greet(self, message, connection):
        return {"text": f"{self.config.greeting}, {connection.identity.subject}"}

    @hookimpl
    async def message_received(self, connection, message):
        ...                                   # raise Refused("greeter.rude", "be polite") to refuse
