name = Bütçe kuponu
description = Tek bir amaç için, parça parça harcadığınız para. Adınız içinde yazmaz.
source = Programı kupon veren kuruluş ya da daire.

claim-serials = Bir birimin seri numarası
    .description = Bir birimi temsil eden rastgele bir metin. Her seferinde birini gösterirsiniz, aynısını asla iki kez göstermezsiniz; böylece iki ödeme birbirine bağlanamaz.
claim-programme = Program
    .description = Kuponu size veren program.
claim-purse = Harcama amacı
    .description = Parayı neye harcayabileceğiniz.
claim-redeemer = Kabul eden
    .description = Kuponu kabul eden ve birimlerini sayan yer. Başka hiçbir yer kabul edemez.
claim-uses = Birim sayısı
    .description = Toplam kaç birim harcayabileceğiniz.
claim-unitValue = Bir birimin değeri
    .description = Bir birimin ne kadar ettiği.
claim-currency = Para birimi
    .description = Değerin hangi parayla olduğu.
