"""Tests of service_events."""
