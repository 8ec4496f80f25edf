-- A gift is updated once, when it is settled: free space on the page keeps that update on it (HOT).
ALTER TABLE gifts.gift_codes SET (fillfactor = 80);
