-- The same checks in as few words as they can be said with: PostgreSQL reads a check's
-- text anew for each statement, and these were a tenth of what a posting cost it.

-- Prevents amounts and balances that are no numbers. The columns are numeric(14,2), which
-- has neither infinities nor anything as large as the bound; what is left is NaN, which
-- counts as larger than all.
ALTER TABLE credit_transactions
    DROP CONSTRAINT wallets_credittransaction_amount_in_range,
    ADD CONSTRAINT wallets_credittransaction_amount_in_range
        CHECK (amount <> 0.0 AND amount < 1e12),
    DROP CONSTRAINT wallets_credittransaction_balance_in_range,
    ADD CONSTRAINT wallets_credittransaction_balance_in_range
        CHECK (balance_after < 1e12),
    -- Prevents movements of a kind that nobody knows.
    DROP CONSTRAINT wallets_credittransaction_type_known,
    ADD CONSTRAINT wallets_credittransaction_type_known CHECK (
        transaction_type::text = ANY (
            '{purchase, purchase_refund, course_payment, course_refund, platform_fee,
              withdrawal, withdrawal_reversal, payout, transfer, bonus, adjustment,
              opening_balance}'::text[]
        )
    );
ALTER TABLE credit_wallets
    DROP CONSTRAINT wallets_creditwallet_balance_in_range,
    ADD CONSTRAINT wallets_creditwallet_balance_in_range CHECK (balance < 1e12),
    -- Prevents a wallet of nobody, and one of a person that is the system's too.
    DROP CONSTRAINT wallets_creditwallet_user_or_code,
    ADD CONSTRAINT wallets_creditwallet_user_or_code
        CHECK ((user_id IS NULL) <> (code IS NULL)),
    -- Prevents more held than there is; a wallet below zero holds nothing.
    DROP CONSTRAINT wallets_creditwallet_held_within_balance,
    ADD CONSTRAINT wallets_creditwallet_held_within_balance
        CHECK (held = 0.0 OR held > 0.0 AND held <= balance),
    -- Prevents a debt of anyone but the system wallets that stand for the outside.
    DROP CONSTRAINT wallets_creditwallet_balance_not_negative,
    ADD CONSTRAINT wallets_creditwallet_balance_not_negative CHECK (
        balance >= 0.0
        OR code IS NOT NULL AND code ~ '^(issued|promotions|adjustments|opening)(:[0-9]+)?$'
    );
