name = ፍቓድ ጽሩይ ኣየር
description = ኣብ ዞባ ጽሩይ ኣየር ናይ ሓንቲ ከተማ መኪና ንምዝዋር ዘፍቅድ ፍቓድ።
source = ቤት ጽሕፈት ትራፊክ ናይታ ከተማ፦ ናይቲ መኪና መረጋገጺ ምዝገባ ኣምጽኡ።

claim-zone = ዞባ
    .description = መኪና ክትዝውሩሉ እትኽእሉ ዞባ።
claim-registrationNumber = ቁጽሪ ታርጋ
    .description = ኣብ ታርጋ ናይቲ መኪና ዘሎ ቁጽሪ።
claim-emissionClass = ደረጃ ትኪ
    .description = እቲ ሞተር ክሳብ ክንደይ ጽሩይ ምዃኑ።

value-emissionClass-electric = ኤለክትሪክ
