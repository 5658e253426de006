"""A fake of a language model behind the OpenAI protocol. It understands nothing: it copies from what it is sent."""
