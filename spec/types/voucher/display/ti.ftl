name = ናይ ገንዘብ ኩፖን
description = ንሓደ ዕላማ ዝተመደበ ብክፋል ክፋል እተውጽእዎ ገንዘብ። ስምኩም ኣይርከቦን።
source = ብመደቡ ኩፖን ዝህብ ውድብ ወይ ቤት ጽሕፈት።

claim-serials = መለለዪ ናይ ሓደ ኣሃዱ
    .description = ንሓደ ኣሃዱ ዝውክል ብዕድል ዝተመርጸ ጽሑፍ። ክልተ ክፍሊታት ብእኡ ምእንቲ ከይተኣሳሰሩ፡ ሓደ ሓደ ጥራይ ተርእዩ፡ ነቲ ሓደ ድማ ክልተ ግዜ ኣይተርእዩን።
claim-programme = መደብ
    .description = ነቲ ኩፖን ዝህበኩም መደብ።
claim-purse = ዕላማ ባጀት
    .description = ነቲ ገንዘብ ከተውጽእሉ እትኽእሉ ዕላማ።
claim-redeemer = ዝወስዶ ኣካል
    .description = ነቲ ኩፖን ዝወስድን ኣሃዱታቱ ዝቖጽርን ኣካል። ካልእ ክወስዶ ኣይክእልን።
claim-uses = ኣሃዱታት
    .description = ብጠቕላላ ክንደይ ኣሃዱታት ከተውጽኡ ከም እትኽእሉ።
claim-unitValue = ዋጋ ናይ ሓደ ኣሃዱ
    .description = ሓደ ኣሃዱ ክንደይ ዋጋ ከም ዘለዎ።
claim-currency = ባጤራ
    .description = እቲ ዋጋ ዝተገልጸሉ ገንዘብ።
