-- Balances, usage statistics and reservations are updated often. Free space keeps an update on the
-- same page (HOT), so that no index has to be updated.
ALTER TABLE credits.balances SET (fillfactor = 70);
ALTER TABLE credits.usage_stats SET (fillfactor = 70);
ALTER TABLE credits.reservations SET (fillfactor = 80);
