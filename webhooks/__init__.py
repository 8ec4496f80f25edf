"""Stripe's side: what it tells us, kept and acted on."""
