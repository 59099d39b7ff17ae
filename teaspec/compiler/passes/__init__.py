"""The passes of the compiler, one a file; none knows another, and the pipeline orders them."""
