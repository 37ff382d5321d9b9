name = Foojar lacageed
description = Lacag hal ujeeddo loogu talagalay oo aad qaybo u isticmaasho. Magacaaga kuma qorna.
source = Ururka ama xafiiska barnaamijkiisu bixiyo foojarrada.

claim-serials = Lambarka hal halbeeg
    .description = Qoraal kadis ah oo u taagan hal halbeeg. Markiiba mid keliya ayaad tustaa, isla midkaasna laba jeer ma tustid, si aan laba lacag-bixin la isugu xirin.
claim-programme = Barnaamijka
    .description = Barnaamijka foojarka ku siiya.
claim-purse = Miisaaniyadda
    .description = Ujeeddada aad lacagta ku isticmaali karto.
claim-redeemer = Cidda qaadata
    .description = Cidda foojarka qaadata oo halbeegyadiisa tirisa. Cid kale ma qaadan karto.
claim-uses = Halbeegyada
    .description = Imisa halbeeg oo wadar ah ayaad isticmaali kartaa.
claim-unitValue = Qiimaha hal halbeeg
    .description = Inta uu hal halbeeg u dhigmo.
claim-currency = Nooca lacagta
    .description = Lacagta qiimuhu ku qoran yahay.
