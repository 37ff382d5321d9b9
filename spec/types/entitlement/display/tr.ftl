name = Kupon
description = Bir ya da birkaç kez kullanabileceğiniz bir hizmet. Adınız içinde yazmaz.
source = Bu hizmet için kupon veren kuruluş ya da daire.

claim-serials = Bir kullanımın seri numarası
    .description = Bir kullanımı temsil eden rastgele bir metin. Her seferinde birini gösterirsiniz, aynısını asla iki kez göstermezsiniz; böylece iki kullanım birbirine bağlanamaz.
claim-entitlementId = Kupon numarası
    .description = Eski kuponlarda: kullanımların sayıldığı rastgele bir sayı. Bir kuponun bütün kullanımları onunla birbirine bağlanabilir.
claim-service = Hizmet
    .description = Kupon karşılığında aldığınız şey.
claim-redeemer = Kabul eden
    .description = Kullanımları sayan yer. Başka hiçbir yer kuponu kabul edemez.
claim-uses = Kullanım sayısı
    .description = Kuponu toplam kaç kez kullanabileceğiniz.
