name = Gutschein
description = Eine Leistung, die Sie einmal oder mehrmals nutzen dürfen. Ihr Name steht nicht darin.

claim-entitlementId = Gutscheinnummer
    .description = Eine zufällige Nummer, nach der die Nutzungen gezählt werden. Daran sind alle Nutzungen eines Gutscheins als zusammengehörig zu erkennen.
claim-service = Leistung
    .description = Was Sie für den Gutschein bekommen.
claim-redeemer = Einzulösen bei
    .description = Wer die Nutzungen zählt. Niemand sonst kann den Gutschein annehmen.
claim-uses = Nutzungen
    .description = Wie oft Sie den Gutschein insgesamt nutzen können.
