"""Whether a message is to wake the agent, as its owner wants it in that conversation."""

from sidecar.model import Attention, Message


def wakes(attention: Attention, message: Message, now: float) -> bool:
    """Whether it is. `now` is in seconds."""
    if attention.muted_until is not None and now < attention.muted_until:
        return False
    match attention.mode:
        case "muted":
            return False
        case "mention_only":
            return message.mentioned
        case "keyword":
            text = message.text.casefold()
            return any(word.casefold() in text for word in attention.keywords)
        case "allowed_senders":
            return message.sender.id in attention.senders
    return True
