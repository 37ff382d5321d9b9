name = مجوز منطقهٔ هوای پاک
description = اجازهٔ راندن وسیلهٔ نقلیه در منطقهٔ هوای پاک یک شهر (در آلمان: Umweltzone).
source = ادارهٔ ترافیک شهر: کارت وسیلهٔ نقلیه را همراه بیاورید.

claim-zone = منطقه
    .description = منطقه‌ای که می‌توانید در آن برانید.
claim-registrationNumber = شمارهٔ پلاک
    .description = شماره‌ای که روی پلاک وسیلهٔ نقلیه است.
claim-emissionClass = ردهٔ آلایندگی
    .description = موتور چقدر پاک است.

value-emissionClass-electric = برقی
