name = Gutschein
description = Eine Leistung, die Sie einmal oder mehrmals nutzen dürfen. Ihr Name steht nicht darin.
source = Die Organisation oder Stelle, die Gutscheine für diese Leistung ausgibt.

claim-serials = Kennung einer Nutzung
    .description = Ein zufälliger Text, der für eine Nutzung steht. Sie zeigen immer nur einen und nie denselben zweimal, sodass daran keine zwei Nutzungen als zusammengehörig zu erkennen sind.
claim-entitlementId = Gutscheinnummer
    .description = Bei älteren Gutscheinen: eine zufällige Nummer, nach der die Nutzungen gezählt werden. Daran sind alle Nutzungen eines Gutscheins als zusammengehörig zu erkennen.
claim-service = Leistung
    .description = Was Sie für den Gutschein bekommen.
claim-redeemer = Einzulösen bei
    .description = Wer die Nutzungen zählt. Niemand sonst kann den Gutschein annehmen.
claim-uses = Nutzungen
    .description = Wie oft Sie den Gutschein insgesamt nutzen können.
