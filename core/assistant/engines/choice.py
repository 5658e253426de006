"""Which engine answers."""

from __future__ import annotations

from core.assistant.engines import AiSettings, Engine
from core.assistant.engines.language_model import LanguageModelEngine
from core.assistant.extractive.engine import ExtractiveEngine


def choose_engine(settings: AiSettings) -> Engine:
    """The language model where there is a key for one, else extraction."""
    return LanguageModelEngine(settings) if settings.api_key else ExtractiveEngine()
