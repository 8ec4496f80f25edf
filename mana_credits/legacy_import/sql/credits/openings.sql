-- The id of an opening adjustment. It stays after an erasure of the user. The key is not in the
-- database, so nobody who has only the database can find out whose adjustment it was.
CREATE OR REPLACE FUNCTION pg_temp.opening_id(user_id text, last_number bigint) RETURNS uuid
LANGUAGE sql STABLE
RETURN md5(concat_ws(':', 'opening', user_id, last_number, %(opening_key)s))::uuid;
