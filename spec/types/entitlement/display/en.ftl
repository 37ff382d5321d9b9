name = Voucher
description = A service that you may use, once or several times. It does not name you.
source = The organisation or office that gives vouchers for this service.

claim-serials = Serial of one use
    .description = A random text that stands for one use. You show one at a time, and never the same one twice, so that two uses cannot be linked by it.
claim-entitlementId = Voucher number
    .description = Of older vouchers: a random number by which uses are counted. All uses of one voucher can be linked by it.
claim-service = Service
    .description = What you get for the voucher.
claim-redeemer = Redeemed by
    .description = Who counts the uses. Nobody else can take the voucher.
claim-uses = Uses
    .description = How often you can use the voucher in all.
