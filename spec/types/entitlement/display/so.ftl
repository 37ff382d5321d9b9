name = Foojar
description = Adeeg aad isticmaali karto, hal mar ama dhowr jeer. Magacaaga kuma qorna.
source = Ururka ama xafiiska bixiya foojarrada adeeggan.

claim-serials = Lambarka hal isticmaal
    .description = Qoraal kadis ah oo u taagan hal isticmaal. Markiiba mid keliya ayaad tustaa, isla midkaasna laba jeer ma tustid, si aan laba isticmaal la isugu xirin.
claim-entitlementId = Lambarka foojarka
    .description = Foojarrada hore: lambar kadis ah oo isticmaalka lagu tiriyo. Dhammaan isticmaalka hal foojar waa la isku xiri karaa isaga awgiis.
claim-service = Adeegga
    .description = Waxa aad ku helayso foojarka.
claim-redeemer = Cidda aqbasha
    .description = Cidda tirisa isticmaalka. Cid kale ma qaadan karto foojarka.
claim-uses = Tirada isticmaalka
    .description = Imisa jeer oo wadar ah ayaad foojarka isticmaali kartaa.
