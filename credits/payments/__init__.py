"""Credits for money: packages, checkout, purchases, refunds and disputes."""
