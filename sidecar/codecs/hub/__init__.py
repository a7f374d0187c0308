"""What a BotCord Hub sends and is sent: messages, envelopes, signatures, frames."""
