"""Load tests of the service in its production configuration: cost and latency of requests."""
