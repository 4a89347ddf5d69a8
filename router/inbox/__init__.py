"""The in-app inbox under whatever serves it: what a user sees of their notifications, and may change of them."""
