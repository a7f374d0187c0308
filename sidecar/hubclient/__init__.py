"""How a client speaks with the BotCord Hub, whatever it speaks for."""
