"""A small model API on loopback: the Anthropic Messages protocol, and OpenAI's Responses.

It lets the real CLIs run without a model: every answer is scripted by a marker in the
prompt (`[[scenario:tool_use]]`, see `scenarios`), and every token it served is counted, so that a
test can hold the mesh's books against it.
"""

from tests.fakes.model_api.books import Served
from tests.fakes.model_api.server import ModelApi, serve_model_api

__all__ = ["ModelApi", "Served", "serve_model_api"]
