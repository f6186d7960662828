"""Text generation with a KV cache: what a model takes, engines that generate, figures."""
