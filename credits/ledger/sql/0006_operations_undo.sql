DROP FUNCTION credits.settle_reservation;
DROP FUNCTION credits.reserve;
DROP TYPE credits.settlement;
DROP FUNCTION credits.post_transaction;
DROP TYPE credits.posting;
DROP FUNCTION credits.price;
