"""The channels, a file each, and the contract they meet."""
