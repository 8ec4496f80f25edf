-- Import packages before the purchases that refer to them. Later changes in the source are copied
-- too.

INSERT INTO credits.packages (
    id, name, description, credits, price_euro_cents, stripe_price_id, active, sort_order, metadata,
    created_at, updated_at)
SELECT id, left(name, 100), left(description, 500), credits, price_euro_cents,
       left(stripe_price_id, 255), active, sort_order, metadata, created_at, updated_at
FROM legacy_packages
ON CONFLICT (id) DO UPDATE SET
    (name, description, credits, price_euro_cents, stripe_price_id, active, sort_order, metadata,
     updated_at) =
    ROW (excluded.name, excluded.description, excluded.credits, excluded.price_euro_cents,
         excluded.stripe_price_id, excluded.active, excluded.sort_order, excluded.metadata,
         excluded.updated_at)
    WHERE credits.packages.updated_at < excluded.updated_at;
