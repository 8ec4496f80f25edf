-- A gift is updated once, when it gets its final status. Free space keeps that update on the same
-- page (HOT).
ALTER TABLE gifts.gift_codes SET (fillfactor = 80);
