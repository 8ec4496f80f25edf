-- The rights of the service's role: it may read everything and write the tables without protected
-- rows. It owns nothing. Balances, transactions, reservations, lots, idempotency keys, the audit trail and
-- the record of settings change only through the owner's functions (SECURITY DEFINER). `manage.py
-- migrate` runs this file after every migration, with the role of DATABASE_URL in the place of
-- "service".
REVOKE ALL ON SCHEMA credits, gifts FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public, credits, gifts FROM PUBLIC, "service";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public, credits, gifts FROM PUBLIC, "service";
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA credits, gifts FROM PUBLIC, "service";

-- Nobody may use a function that is created later until this file has run.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA public, credits, gifts TO "service";
-- All tables first and then the exceptions, so that a new table of a migration works without a
-- change here.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, credits, gifts TO "service";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, credits, gifts TO "service";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA credits, gifts TO "service";

REVOKE INSERT, UPDATE, DELETE ON
    credits.balances, credits.transactions, credits.reservations, credits.credit_lots,
    credits.lot_uses, credits.idempotency_keys,
    credits.staff_actions, credits.settings_changes, public.django_migrations
    FROM "service";
-- Anchors are written once.
REVOKE UPDATE, DELETE ON credits.anchors FROM "service";
