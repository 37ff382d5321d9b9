name = Budget voucher
description = Money for one purpose, which you spend in parts. It does not name you.
source = The organisation or office whose programme gives vouchers.

claim-serials = Serial of one unit
    .description = A random text that stands for one unit. You show one at a time, and never the same one twice, so that two payments cannot be linked by it.
claim-programme = Programme
    .description = The programme that gives you the voucher.
claim-purse = Purse
    .description = The purpose that you may spend the money on.
claim-redeemer = Accepted by
    .description = Who takes the voucher and counts its units. Nobody else can take it.
claim-uses = Units
    .description = How many units you can spend in all.
claim-unitValue = Value of one unit
    .description = How much one unit is worth.
claim-currency = Currency
    .description = The money that the value is in.
