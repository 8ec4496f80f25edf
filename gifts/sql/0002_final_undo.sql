ALTER TABLE gifts.gift_codes RESET (fillfactor);
DROP TRIGGER gift_redemptions_are_append_only ON gifts.gift_redemptions;
DROP FUNCTION gifts.refuse_change_of_redemption;
DROP TRIGGER gift_final_states_are_final ON gifts.gift_codes;
DROP FUNCTION gifts.refuse_change_of_gift;
