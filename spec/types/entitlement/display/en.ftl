name = Voucher
description = A service that you may use, once or several times. It does not name you.

claim-entitlementId = Voucher number
    .description = A random number by which uses are counted. All uses of one voucher can be linked by it.
claim-service = Service
    .description = What you get for the voucher.
claim-redeemer = Redeemed by
    .description = Who counts the uses. Nobody else can take the voucher.
claim-uses = Uses
    .description = How often you can use the voucher in all.
