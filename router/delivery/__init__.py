"""The delivery engine: from a routed message to outcomes and delivery documents."""
