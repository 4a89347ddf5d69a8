"""The types of JSON, as documents are made of them."""

from pydantic import JsonValue

JsonObject = dict[str, JsonValue]
"""A JSON object: what every CouchDB document is."""

__all__ = ["JsonObject", "JsonValue"]
