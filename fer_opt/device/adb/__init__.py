"""The connection to a phone over the Android Debug Bridge."""
