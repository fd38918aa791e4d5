"""Where a model is timed. This floor never hears of recipes and never loads TensorFlow."""
