name = Temiz hava bölgesi izni
description = Bir şehrin temiz hava bölgesinde araç kullanma izni (Almanya’da: Umweltzone).
source = Şehrin trafik dairesi: aracın ruhsatını getirin.

claim-zone = Bölge
    .description = Araç kullanabileceğiniz bölge.
claim-registrationNumber = Plaka numarası
    .description = Aracın plakasındaki numara.
claim-emissionClass = Emisyon sınıfı
    .description = Motorun ne kadar temiz olduğu.

value-emissionClass-electric = Elektrikli
