"""Sans-IO state of a conversation: identity, ledger, outbox."""

from .identity import ANONYMOUS, Identity
from .ledger import Ledger, Outcome, Verdict
from .outbox import Gap, Outbox
from .session import Session, State
from .watching import Handling, SessionWatch

__all__ = [
    "ANONYMOUS",
    "Gap",
    "Handling",
    "Identity",
    "Ledger",
    "Outbox",
    "Outcome",
    "Session",
    "SessionWatch",
    "State",
    "Verdict",
]
