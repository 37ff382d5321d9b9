name = تصريح منطقة الهواء النظيف
description = الإذن بقيادة مركبة في منطقة الهواء النظيف في مدينة ما.
source = مكتب المرور في المدينة: أحضر شهادة تسجيل المركبة.

claim-zone = المنطقة
    .description = المنطقة التي يحق لك القيادة فيها.
claim-registrationNumber = رقم اللوحة
    .description = الرقم على لوحة المركبة.
claim-emissionClass = فئة الانبعاثات
    .description = مدى نظافة المحرك.

value-emissionClass-electric = كهربائي
