-- Balances, usage statistics and reservations are updated in place all day: free space on the page
-- keeps an update on it (HOT), without touching an index.
ALTER TABLE credits.balances SET (fillfactor = 70);
ALTER TABLE credits.usage_stats SET (fillfactor = 70);
ALTER TABLE credits.reservations SET (fillfactor = 80);
