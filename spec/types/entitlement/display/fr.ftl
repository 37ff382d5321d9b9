name = Bon
description = Un service auquel vous avez droit, une ou plusieurs fois. Votre nom n’y figure pas.

claim-entitlementId = Numéro du bon
    .description = Un numéro aléatoire qui sert à compter les utilisations. Il permet de relier toutes les utilisations d’un même bon.
claim-service = Service
    .description = Ce que vous obtenez avec le bon.
claim-redeemer = Accepté par
    .description = Qui compte les utilisations. Personne d’autre ne peut accepter le bon.
claim-uses = Utilisations
    .description = Le nombre total d’utilisations du bon.
