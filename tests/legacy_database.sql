-- The earlier service's tables, as its newest installation has them.
CREATE TYPE public.transaction_type AS ENUM ('purchase', 'usage', 'refund', 'gift', 'grant');
CREATE TYPE public.transaction_status AS ENUM ('pending', 'completed', 'failed', 'cancelled');
CREATE TYPE public.reservation_status AS ENUM ('reserved', 'committed', 'refunded');
CREATE TYPE public.billing_interval AS ENUM ('monthly', 'quarterly', 'yearly');
CREATE TYPE public.gift_code_type AS ENUM ('simple', 'personalized');
CREATE TYPE public.gift_code_status AS ENUM (
    'active', 'depleted', 'expired', 'cancelled', 'refunded');
CREATE TYPE public.gift_redemption_status AS ENUM (
    'success', 'failed_wrong_user', 'failed_depleted', 'failed_expired',
    'failed_already_claimed');

CREATE SCHEMA credits;
CREATE SCHEMA gifts;
CREATE SCHEMA auth;
CREATE TABLE auth.users (id text PRIMARY KEY, email text);

CREATE TABLE credits.balances (
    user_id text PRIMARY KEY, balance integer NOT NULL DEFAULT 0,
    total_earned integer NOT NULL DEFAULT 0, total_spent integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE credits.transactions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL,
    type public.transaction_type NOT NULL,
    status public.transaction_status NOT NULL DEFAULT 'pending',
    amount integer NOT NULL, balance_before integer NOT NULL, balance_after integer NOT NULL,
    app_id text NOT NULL, description text NOT NULL, metadata jsonb,
    idempotency_key text UNIQUE, created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz);
CREATE TABLE credits.reservations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL,
    amount integer NOT NULL, reason text NOT NULL,
    status public.reservation_status NOT NULL DEFAULT 'reserved',
    created_at timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz);
CREATE TABLE credits.packages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, description text,
    credits integer NOT NULL, price_euro_cents integer NOT NULL, stripe_price_id text UNIQUE,
    active boolean NOT NULL DEFAULT true, sort_order integer NOT NULL DEFAULT 0, metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE credits.purchases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL,
    package_id uuid REFERENCES credits.packages, credits integer NOT NULL,
    price_euro_cents integer NOT NULL, stripe_payment_intent_id text UNIQUE,
    stripe_customer_id text, status public.transaction_status NOT NULL DEFAULT 'pending',
    metadata jsonb, created_at timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
CREATE TABLE credits.usage_stats (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL, app_id text NOT NULL,
    credits_used integer NOT NULL, date timestamptz NOT NULL, metadata jsonb);
CREATE TABLE credits.stripe_customers (
    user_id text PRIMARY KEY, stripe_customer_id text NOT NULL UNIQUE, email text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE credits.sync_subscriptions (
    user_id text PRIMARY KEY, active boolean NOT NULL DEFAULT false,
    billing_interval public.billing_interval NOT NULL DEFAULT 'monthly',
    amount_charged integer NOT NULL DEFAULT 30, activated_at timestamptz,
    next_charge_at timestamptz, paused_at timestamptz, is_gifted boolean NOT NULL DEFAULT false,
    gifted_by text, gifted_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE gifts.gift_codes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text NOT NULL UNIQUE, short_url text,
    creator_id text NOT NULL, creator_name text, total_credits integer NOT NULL,
    redeemed integer NOT NULL DEFAULT 0, type public.gift_code_type NOT NULL DEFAULT 'simple',
    status public.gift_code_status NOT NULL DEFAULT 'active', target_email text, message text,
    expires_at timestamptz, reservation_transaction_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE gifts.gift_redemptions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    gift_code_id uuid NOT NULL REFERENCES gifts.gift_codes, redeemer_user_id text NOT NULL,
    status public.gift_redemption_status NOT NULL, credits_received integer NOT NULL DEFAULT 0,
    credit_transaction_id uuid, source_app_id text,
    created_at timestamptz NOT NULL DEFAULT now());
