"""How a message leaves: by mail, to a chat, to a webhook. Each one blocks, with time-outs."""
